"""The public check of a hand-written backward, with a report that names the likely mistake."""

from tinydiff.gradcheck.check import adjoint_check, check_module, gradcheck
from tinydiff.gradcheck.report import Finding, GradcheckReport

__all__ = ["Finding", "GradcheckReport", "adjoint_check", "check_module", "gradcheck"]
