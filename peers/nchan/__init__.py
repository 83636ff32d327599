"""Nchan: a module of nginx, in C. One worker; a message is an HTTP request, kept in memory."""
