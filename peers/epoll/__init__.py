"""A plain epoll loop in C that sends each message to each socket with one system call: the limit of one send each."""
