"""Fabric tasks that turn bare Debian machines into nodes, and keep them so."""
