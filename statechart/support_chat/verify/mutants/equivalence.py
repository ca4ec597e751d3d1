"""stub"""
def engine_differs(chart): return None
