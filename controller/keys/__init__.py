"""Keys and identities: the fleet CA, credentials, sealed secrets, DKIM keys, who is calling.

Everything that touches a private key of the fleet lives here, and `cryptography` has its home here.
"""
