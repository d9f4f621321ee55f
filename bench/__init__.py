"""What Fairlead costs, measured beside a bare relay and its peers: `make bench`, explained in docs/explanation/performance.md."""
