"""How answers are judged: judges, which know nothing of Inspect, and the scorers made of them."""
