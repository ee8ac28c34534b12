"""What a station is made of and set to: variables, reports of them, wanted configurations."""
