"""What the study gives to others in forms that they know: a research object, pages on the data, an article."""
