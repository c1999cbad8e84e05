"""What the rules promise: given/when/then for every command, laws over random histories, stored forms for ever."""
