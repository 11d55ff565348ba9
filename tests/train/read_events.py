"""Reads what test_events.c wrote with TensorBoard's own reader. Status 77 where there is no TensorBoard."""
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    print('skipped: this Python has no tensorboard')
    sys.exit(77)

run = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'audio': 0, 'images': 0})
run.Reload()
tags = run.Tags()
assert sorted(tags['scalars']) == ['gradient/norm', 'loss/training'], tags
losses = [(event.step, event.value) for event in run.Scalars('loss/training')]
expected = [(1, -1), (2, -2), (3, -3), (4, -4), (5, -5), (6, -60), (7, -70)]
assert losses == expected, losses
assert all(event.wall_time > 1.5e9 for event in run.Scalars('loss/training'))
(sound,) = run.Audio('clip/a')
assert (sound.step, sound.sample_rate, sound.length_frames, sound.content_type) == (7, 22050, 441, 'audio/wav'), sound
assert sound.encoded_audio_string.startswith(b'RIFF, as far')
(picture,) = run.Images('picture/a')
assert (picture.step, picture.width, picture.height) == (7, 20, 10), picture
assert picture.encoded_image_string.startswith(b'\x89PNG the same\0here')
print('TensorBoard reads all of it')
