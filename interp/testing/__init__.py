"""What proves workflows and stores; each module is imported by its name, as they need different things installed."""
