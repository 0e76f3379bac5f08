"""The one stream to the controller: dialling, lease, orders, reports."""
