"""system.info, process.list, disk.usage; service.status, service.control, log.tail."""
