# The compiled half of fileloft_fast.dataplane; setup.py shows this folder to Cython by that name.
