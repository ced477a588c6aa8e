"""Named checks before anything is copied: can this recovery get where it should?"""

from pitr_tui.recovery.checks.case import Case, Evidence
from pitr_tui.recovery.checks.judgement import Judgement, Light, fitted, judge, require_passed

__all__ = ["Case", "Evidence", "Judgement", "Light", "fitted", "judge", "require_passed"]
