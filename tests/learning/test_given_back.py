"""What a training held is free when it is over, so that its model can be scored in the same process."""

from __future__ import annotations

import weakref

import pytest
from conftest import make_spec

from sdft.learning import loop
from sdft.learning.run import train


@pytest.mark.parametrize("method", ["sdft", "sft", "sft_reinvoke", "offline_distillation"])
def test_student_teacher_and_states_are_gone_when_a_training_has_ended(world, tmp_path, monkeypatch, method):
    held = []
    make, finish = loop.Training.__init__, loop.Training._finish

    def note(self, *arguments, **options):
        make(self, *arguments, **options)
        held.append(weakref.ref(self))
        held.extend(weakref.ref(thing) for thing in (self.student, self.teacher, self.ema) if thing is not None)
        held.extend(map(weakref.ref, self.student.parameters()))
        held.extend(map(weakref.ref, self.ema.average.values() if self.ema else ()))

    def note_states(self):
        moments = [tensor for state in self.optimizer.state.values() for tensor in state.values()]
        held.extend(map(weakref.ref, moments))
        return finish(self)

    monkeypatch.setattr(loop.Training, "__init__", note)
    monkeypatch.setattr(loop.Training, "_finish", note_states)
    train(make_spec(world, method, epochs=1), tmp_path, quiet=True)
    assert len(held) > 10
    assert [reference() for reference in held if reference() is not None] == []
