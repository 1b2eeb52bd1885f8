"""The IETF's "Resumable Uploads for HTTP" without I/O, beside tus: drafts and the final form."""
