"""The web, as a tool sees it: searched by a service, and read page by page."""
