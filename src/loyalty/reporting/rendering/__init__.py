"""Documents of data as pages: words and numbers in a language, pictures as SVG, and the HTML around them."""
