//! Product recipes and studio scenes, as text.
