"""Known mistakes, put into the product one at a time: `make mutants` shows that the tests find each of them."""
