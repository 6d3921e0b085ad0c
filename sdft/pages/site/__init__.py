"""A study as a small site of plain files: an entry page, and pages for tables, figures, claims, runs and replications.

Pages show what verdicts, scores and runs say and compute nothing. A notebook runs `build` and displays each page, and
workflow_scripts/render_report.py writes them. All pages but the entry lie in one folder, so that a link is a name.
"""
