"""What answers become: types and JSON Schemas, whole and while they are being written."""
