"""How many threads BLAS would use now."""

from threadpoolctl import threadpool_info


def blas_threads():
    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
