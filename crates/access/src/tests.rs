//! What is promised, in tables; and against Cedar alone, by chance.
