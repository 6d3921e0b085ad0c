"""The knowledge task's data: articles, and questions that a model writes about them."""
