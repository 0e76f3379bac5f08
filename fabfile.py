"""Lets `fab` in this checkout find the tasks of `provisioning`; nothing of its own."""

from provisioning.tasks import check, decommission, deploy, provision, rebuild

__all__ = ["check", "decommission", "deploy", "provision", "rebuild"]
