"""Journals into results: files, accounts, intervals, the summary."""
