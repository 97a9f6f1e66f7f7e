"""Language models behind one door: open_chat_model."""
