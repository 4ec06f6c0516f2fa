"""What is kept of a log from night to night: customers as of today, and as much as late rows and returns need.

`customer_state` is what a person uses. Beneath it, `merging` takes a batch in, `carried` says what of the past takes
part in that and `evaluation` what comes of it; `batches` reads what is delivered, `layers` keeps tables as segments,
`saving` puts them on disk, `settings` and `ids` say by which rules.
"""
