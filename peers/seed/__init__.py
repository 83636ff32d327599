"""The design of the tutorials: a consumer for each socket, a group for everybody and one for each user."""
