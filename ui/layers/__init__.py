"""Map layers: tables of a run in, colours and packed bytes out. No Streamlit, no disk."""
