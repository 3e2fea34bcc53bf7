"""The pages, one module each: Streamlit elements in, nothing out."""
