"""What is measured, and the limit it is compared with. `make bench` runs all, `python -m benchmarks NAME` one."""
