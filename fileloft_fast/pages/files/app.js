// The page for people.
