"""Finding a place to charge: what is near, what is free there now, and how long it may take."""
