"""Images, and what is deployed with them; ``rehearse`` builds and runs them without an engine."""
