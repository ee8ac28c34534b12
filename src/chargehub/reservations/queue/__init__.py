"""The queue of a Location that is full: who waits, who is called to which gun."""
