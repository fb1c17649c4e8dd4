"""What to do now: from book and order state to child orders."""
