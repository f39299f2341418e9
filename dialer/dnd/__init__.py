"""DND lists: what is decided about them beside the look-up at dispatch, which is `store.dnd`'s."""
