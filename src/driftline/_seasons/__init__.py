"""Hours of the day and days of the week, and the counts expected of them."""
