"""Schedules say their numbers."""

import numpy as np
import pytest

from gbm_focal import ConstantSchedule, CosineSchedule, FocalLoss, LinearSchedule


def test_schedules_say_their_numbers():
    assert [ConstantSchedule(3.0)(i) for i in (0, 5, np.inf)] == [3, 3, 3]
    assert [LinearSchedule(0, 2, 4)(i) for i in (0, 1, 2, 4, 9, np.inf)] == [0, 0.5, 1, 2, 2, 2]
    cosine = [CosineSchedule(1, 3, 4)(i) for i in (0, 1, 2, 3, 4, np.inf)]
    np.testing.assert_allclose(cosine, [1, 2 - np.sqrt(0.5), 2, 2 + np.sqrt(0.5), 3, 3])
    for schedule in (LinearSchedule(0, 2, 0), LinearSchedule(np.nan, 2, 4), LinearSchedule(0, "x", 4)):
        with pytest.raises((ValueError, TypeError)):
            schedule(1)
    with pytest.raises(TypeError, match="gamma=LinearSchedule"):
        FocalLoss(LinearSchedule(0, 2, 4)).value([1], [0.0])
