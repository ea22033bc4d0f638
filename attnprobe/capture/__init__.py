"""What a user's own script asks of attention: seen, recognised, replayed."""
