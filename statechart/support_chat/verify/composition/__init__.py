"""Components and places together: what is declared, explored and told of a composition."""
