"""Single sign-on: what an identity provider says, checked before anybody believes it."""
