"""The lab: a whole fleet on one machine, made of real parts in network namespaces."""
