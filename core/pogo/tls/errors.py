"""What is wrong with the files that TLS needs."""


class TlsError(Exception):
    """A certificate, a key or authorities cannot be used.

    The message names the file and what is wrong with it, and holds nothing of its contents.
    """
