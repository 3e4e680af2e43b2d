//! Python and JavaScript handlers, where their tools are installed.
