"""What has happened between programs, drivers and DSPs: events, and how they are shown."""

__all__: list[str] = []
