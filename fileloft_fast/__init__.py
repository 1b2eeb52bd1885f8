"""fileloft-fast: a drop-in tus upload endpoint at native speed."""
