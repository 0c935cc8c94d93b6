"""What annotation files of each kind hold, one module a format: from parsed content to outlines as drawn."""
