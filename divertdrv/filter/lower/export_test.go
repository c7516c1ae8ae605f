package lower

// Within lowers a filter to at most so many nodes, of which Lower allows more than a text has.
var Within = within
